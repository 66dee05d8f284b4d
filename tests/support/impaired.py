"""The gateway's network with wires that do harm (impair.py) between each party and the gateway."""
import json

import gateway
import lab


class Harmed(gateway.Network):
    """Between each party and the gateway a wire that harms what the party sends."""

    def __init__(self, the_lab, **harm):
        super().__init__(the_lab, self.wires)
        options = [text for name, value in harm.items() for text in (f"--{name}", value)]
        self.reports = {}
        for party, seed in (("caller", 1), ("callee", 2)):
            report = self.reports[party] = the_lab.dir / f"{party}.harm"
            process = the_lab.start(f"harm-{party}", [gateway.PYTHON, gateway.SUPPORT / "impair.py", "near", "far", report, "--seed", seed, *options], ns=f"harm-{party}")
            lab.wait_for(lambda process=process: "ready" in process.output() or not process.running(), 20, "the harmful wire is up")
            setattr(self, party, process)

    @staticmethod
    def wires(the_lab):
        for party, end, port in (("caller", "c0", "d0"), ("callee", "e0", "d1")):
            the_lab.namespace(f"harm-{party}")
            the_lab.link(party, end, f"harm-{party}", "near")
            the_lab.link(f"harm-{party}", "far", "wire", port)

    def report(self, party):
        """Of the one stream that the party sent."""
        getattr(self, party).stop()
        told = json.loads(self.reports[party].read_text())
        if len(told) != 1:
            raise lab.LabError(f"{party} sent {len(told)} streams")
        return next(iter(told.values()))
