"""What a worker of a sweep does where a rule answers: yes while the first fact is there; `fails` is an error."""

from log_speakers import Planted

from workbench.logs.held import explained


class Known(Planted):
    def say(self, asked, keeps, expected):
        said = asked.segments[-1].text
        if "fails" in said:
            raise OSError("no answer")
        return super().say(asked, keeps, expected)


def work(order):
    return explained(order, {"tuned": Known(lambda kept: "yes" if 0 in kept else "no")}), 0.0
