"""MLflow's server with a start page that shows metrics: an app for `mlflow server --app-name`, named by experiments/ui_plugin.

MLflow's UI keeps what it shows in the browser alone, and starts with traces, without a column of metrics. A browser that
opens it for the first time is given columns and charts of the view of all networks; another one keeps its own choices.
"""

import json
import os

from flask import Response, request
from mlflow.server import app as pages
from mlflow.server.fastapi_app import app

from siamese.tracking.views import BROWSER_DEFAULTS

__all__ = ["app"]
SCRIPT = "<script>for (const [key, value] of Object.entries(DEFAULTS)) localStorage[key] ??= value</script>"


@pages.after_request
def give_defaults(response: Response) -> Response:
    """Put the defaults of BROWSER_DEFAULTS into the UI's page, before its own scripts."""
    if request.path == "/" and response.mimetype == "text/html":
        response.direct_passthrough = False  # a file may be changed
        defaults = json.dumps(json.loads(os.environ[BROWSER_DEFAULTS])).replace("<", "\\u003c")  # no end of the script
        response.set_data(
            response.get_data(as_text=True).replace("<head>", "<head>" + SCRIPT.replace("DEFAULTS", defaults), 1)
        )
        response.headers["Cache-Control"] = "no-store"
    return response
