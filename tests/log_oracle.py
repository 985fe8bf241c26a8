"""What a worker of a sweep does where a rule answers: yes while the first fact is there; `fails` is an error, `slow`
takes a while."""

import time

from log_speakers import Planted

from workbench.logs.held import explained


class Known(Planted):
    def say(self, asked, keeps, expected):
        said = asked.segments[-1].text
        if "fails" in said:
            raise OSError("no answer")
        return super().say(asked, keeps, expected)


def work(order):
    if any(case["record"]["question"] == "slow" for case in order["cases"]):
        time.sleep(0.6)
    return explained(order, {"tuned": Known(lambda kept: "yes" if 0 in kept else "no")}), 0.0
