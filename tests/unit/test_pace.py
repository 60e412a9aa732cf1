"""How soon a program that repeats its work looks again."""

from issuer.pace import Pace


def test_it_goes_on_at_once_then_looks_soon_and_then_rests() -> None:
    pace = Pace()
    resting = pace.after(0)
    assert pace.after(3) == 0.0
    pauses = [pace.after(0) for _ in range(12)]
    assert pauses == sorted(pauses)
    assert 0 < pauses[0] < resting / 4
    assert pauses[-1] == pauses[-2] == resting
    assert pace.after(1) == 0.0
    assert pace.after(0) == pauses[0]
