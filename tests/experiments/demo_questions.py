"""What the tests of the demo ask of which detector."""

from tests.programs import ROOT

DETECTOR = ROOT / "tests" / "fixtures" / "detector_format_5"
SAME = ("How do I pay my bill?", "Where can I pay the bill?")
DIFFERENT = ("I lost my card", "How do I cook rice?")
EVIL = """<script>alert(1)</script><img src=x onerror="document.title='taken'">'&amp;"""
QUESTIONS = {
    "where can i pay the bill": "bills",
    "i lost my card": "cards",
    "opening hours": "shops",
    "how do i cook rice": "food",
    "Où payer la facture reçue à l'hôtel ?": "français",
    f"how to pay {EVIL}": "<b>bold</b>",
}
