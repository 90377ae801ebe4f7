"""What a run says at its end, for people."""

from pathlib import Path

from crbatch.results.words import counted, duration_text

from ..folder.timings import timings_text
from ..folder.until import precision_text
from .session import Outcome


def run_text(outcome: Outcome) -> str:
    """The summary of a run in lines."""
    s = outcome.summary
    head = "nothing was left to do" if outcome.nothing_left else f"done in {duration_text(s['seconds'])}"
    certified = s["certified"] + s["closed_form"]
    lines = []
    if s["unidentifiable"] >= s["designs"]:  # what comes first where no number is of use
        lines.append(f"{s['folder']}: NO DRAW IS IDENTIFIABLE, every bound that has a weight is infinite")
    lines += [
        f"{s['folder']}: {head}",
        f"  {counted(s['designs'], 'design')}: {s['certified']} certified (largest gap {s['largest_gap']:.2e}), "
        f"{s['closed_form']} closed form, {s['uncertified']} uncertified, {s['unidentifiable']} unidentifiable, "
        f"{s['failed']} failed",
    ]
    if s["solvers"]:
        lines.append("  optimised by " + ", ".join(f"{name} {count}" for name, count in s["solvers"].items()))
    lines += [f"  unidentifiable: {reason}" for reason in s["reasons"]]
    if s["vague_mixes"]:
        lines.append(
            f"  {s['vague_mixes']} of the uncertified are mixes whose extremes are not known well enough "
            f"(mix_error up to {s['largest_mix_error']:.1e})"
        )
    if certified + s["unidentifiable"] < s["designs"]:
        lines.append("  look at `status` in the cube for those that are neither certified nor unidentifiable")
    if "precision" in s:
        lines.append(f"  {precision_text(s['precision'])}")
    if s["failed_draws"]:
        shown = ", ".join(map(str, s["failed_draws"][:20])) + (", ..." if len(s["failed_draws"]) > 20 else "")
        lines.append(f"  failed draws: {shown}; journal.jsonl has the reasons")
    if s["timings"]:
        lines.append(f"  {timings_text(s['timings'])}")
    lines.append(f"  cube: {Path(s['folder']) / 'cube.nc'}")
    return "\n".join(lines)
