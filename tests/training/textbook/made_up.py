"""Figures of comparisons that never ran."""

from training.textbook.course import Point
from training.textbook.lengths import ALL, LengthScores
from training.textbook.results import Result, Standing
from training.textbook.throughput import Throughput


def standing(label, bleu, seconds, p_value, long_bleu=1.0, loss=4.5, **choices):
    result = Result(
        label=label,
        choices=choices or {"cell": label},
        parameters=1_000_000,
        steps=20,
        tokens=4000,
        clipped=0.25,
        skipped=0,
        points=[Point(10, 6.0, 5.5), Point(20, 5.0, 4.5)],
        loss=loss,
        bleu=bleu,
        chrf=30.0,
        signature="nrefs:1",
        by_length={
            ALL: [LengthScores(1, 10, 12, bleu, 30.0), LengthScores(81, None, 11, long_bleu, 20.0)]
        },
        aer=None,
    )
    return Standing(
        result=result,
        throughput=Throughput(seconds, 200 / seconds),
        steps_to_loss=15.0,
        p_value=p_value,
    )
