"""The start page of the MLflow UI, without a browser; tests/experiments/test_ui.py looks at it in one."""

import json


def test_the_start_page_gives_a_browser_what_it_does_not_have(monkeypatch):
    from experiments import start_page  # the server takes seconds to import

    monkeypatch.setenv("SIAMESE_BROWSER_DEFAULTS", json.dumps({"a key": "</script>"}))
    client = start_page.pages.test_client()
    page = client.get("/").get_data(as_text=True)
    given = '{"a key": "\\u003c/script>"}'
    script = f"<head><script>for (const [key, value] of Object.entries({given})) localStorage[key] ??= value</script>"
    assert page.count("<head>") == page.count(script) == 1
    assert page.index(script) < page.index("static-files/static/js/main")
    assert "script" not in client.get("/health").get_data(as_text=True)
