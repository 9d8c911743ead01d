"""The number of calls at once, as learned from rejections."""

from teamrun.models.pacing.window import FIRST_CAUTION_S, FORGET_S, STEP_S, Window


def burst(window: Window, now: float, *, accepted: int, rejected: int) -> None:
    """Rejections of calls that started together; the accepted ones are in flight."""
    for index in range(rejected):
        others = accepted + rejected - 1 - index
        window.reject(now + 0.01 * index, pause_s=1.0, accepted=others, age_s=0.2)


def test_a_burst_shows_how_many_calls_the_server_takes() -> None:
    window = Window()

    burst(window, 10.0, accepted=4, rejected=12)

    assert window.size == 4
    assert window.paused_until == 10.11 + 1.0


def test_a_server_that_rejects_all_calls_still_gets_one() -> None:
    window = Window()

    burst(window, 10.0, accepted=0, rejected=5)

    assert window.size == 1


def test_another_rejection_of_the_same_window_halves_it() -> None:
    window = Window()
    burst(window, 10.0, accepted=8, rejected=1)

    window.reject(12.0, pause_s=1.0, accepted=7, age_s=0.1)

    assert window.size == 4


def test_a_single_first_rejection_after_many_answers_is_soon_forgotten() -> None:
    window = Window()
    window.answer(100)

    window.reject(10.0, pause_s=1.0, accepted=3, age_s=0.1)

    assert (window.size, window.grows_in(10.0)) == (3, 1.0)


def test_a_rejection_after_many_answers_changes_nothing() -> None:
    window = Window()
    burst(window, 10.0, accepted=8, rejected=1)
    window.answer(16)

    window.reject(12.0, pause_s=1.0, accepted=7, age_s=0.1)
    assert window.size == 8
    window.reject(14.0, pause_s=1.0, accepted=7, age_s=0.1)
    assert window.size == 4


def test_a_growth_that_proved_itself_ends_the_caution() -> None:
    window, now = Window(), 6.0
    burst(window, 0.0, accepted=4, rejected=1)
    window.update(now, demand=9)
    window.reject(now, pause_s=1.0, accepted=4, age_s=0.0)
    now += window.grows_in(now)

    window.update(now, demand=9)
    window.answer(10)
    window.update(now + STEP_S, demand=9)
    window.reject(now + 2, pause_s=1.0, accepted=6, age_s=0.1)

    assert round(window.grows_in(now + 2)) == 1 + 4 * FIRST_CAUTION_S
    assert window.size == 6


def test_it_grows_only_when_calls_wait_and_ever_faster() -> None:
    window = Window()
    burst(window, 0.0, accepted=4, rejected=1)
    now = 1.0 + FIRST_CAUTION_S
    sizes: list[int | None] = []

    window.update(now, demand=4)
    sizes.append(window.size)
    for _ in range(4):
        window.update(now, demand=100)
        sizes.append(window.size)
        now += STEP_S

    assert sizes == [4, 5, 7, 11, 19]


def test_it_does_not_grow_during_a_pause() -> None:
    window = Window()
    window.reject(0.0, pause_s=60.0, accepted=4, age_s=0.1)

    window.update(59.0, demand=100)

    assert window.size == 4


def test_each_failed_growth_makes_it_more_cautious() -> None:
    window, now, waits = Window(), 0.0, list[float]()
    burst(window, now, accepted=4, rejected=1)
    for _ in range(5):
        waits.append(window.grows_in(now))
        now += waits[-1]
        window.update(now, demand=100)
        assert window.size == 5
        window.reject(now + 0.1, pause_s=1.0, accepted=4, age_s=0.05)
        now += 0.1
        assert window.size == 4

    assert [round(wait - 1) for wait in waits] == [5, 20, 80, 320, 320]


def test_it_is_forgotten_when_nothing_was_rejected_for_long() -> None:
    window = Window()
    burst(window, 0.0, accepted=4, rejected=1)

    window.update(1.0 + FORGET_S, demand=1)

    assert window.size is None
