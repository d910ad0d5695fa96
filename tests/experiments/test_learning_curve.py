"""Learning curves of a comparison: a row for each network with trainings of enough sizes."""

from siamese.comparison.learning_curve import learning_curve_table

SIZES = (1_000, 2_000, 4_000, 8_000)


def test_a_power_law_foretells_what_it_did_not_see():
    law = {size: [1 - 0.9 * size**-0.2] for size in SIZES}
    table = learning_curve_table(
        {"conv1d": law, "few sizes": {size: [0.5, 0.6] for size in SIZES[:3]}}, "accuracy", None
    )
    head, _, row = table.splitlines()
    assert [cell.strip() for cell in head.strip("|").split("|")] == [
        "network",
        "training pairs",
        "exponent [95 %]",
        "accuracy of the most, foretold by the fewer",
        "reached",
        "for so many pairs",
        "accuracy foretold [95 %]",
    ]
    reached, far = 1 - 0.9 * 8_000**-0.2, 1 - 0.9 * 32_000**-0.2
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        "`conv1d`",
        "1,000 to 8,000",
        "0.200 ± 0.000",
        f"{reached:.4f} [{reached:.4f}, {reached:.4f}]",
        f"{reached:.4f}",
        "32,000",
        f"{far:.4f} [{far:.4f}, {far:.4f}]",
    ]
    assert "| 100,000 " in learning_curve_table({"conv1d": law}, "accuracy", 100_000)


def test_too_few_sizes_make_no_table():
    assert learning_curve_table({"conv1d": {size: [0.5] for size in SIZES[:3]}}, "accuracy", None) == ""
