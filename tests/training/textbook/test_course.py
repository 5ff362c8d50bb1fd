"""The curve of a variant."""

import pytest

from training.textbook.course import Course, Point, step_at_loss
from training.trainer import Update


def points(*losses):
    return [Point(100 * number, 9.0, loss) for number, loss in enumerate(losses, start=1)]


def test_step_at_a_loss_lies_on_the_line_between_two_points():
    assert step_at_loss(points(5.0, 4.0, 3.0), 3.75) == pytest.approx(225)


def test_step_at_a_loss_that_was_there_at_once_or_never():
    assert step_at_loss(points(5.0, 4.0), 6.0) == 100
    assert step_at_loss(points(5.0, 4.0), 3.0) is None


def test_curve_that_rises_again_counts_from_its_first_passage():
    assert step_at_loss(points(5.0, 3.0, 6.0, 2.0), 4.0) == pytest.approx(150)


def test_training_loss_is_the_mean_over_tokens_since_the_last_point():
    course = Course()
    for loss, tokens in ((2.0, 10), (4.0, 30)):
        course.add(Update(loss, tokens, 1.0, 0.1, 0.5))
    course.mark(2, 3.3)
    course.add(Update(7.0, 5, 1.0, 0.1, 0.5))
    course.mark(3, 3.1)
    assert course.points == [Point(2, 3.5, 3.3), Point(3, 7.0, 3.1)]
    assert (course.tokens, course.seconds) == (45, 1.5)
    assert Course.from_dict(course.as_dict()) == course
