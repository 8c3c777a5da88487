"""How long the analysis of 1,000 networks of the ResNet family takes, on one core.

`python benchmarks/search.py`: a quarter of a minute. The spec is read and parsed once; each network
is expanded and analysed: sizes, arithmetic, memory, receptive fields.
"""

import time

from archspec import search

DEPTHS = "depths.0=2..6 depths.1=2..8 depths.2=2..12 depths.3=2..6"


def main(trials: int = 1000) -> None:
    for blocks in ("[true]", "[true, false]"):
        wall, cpu = time.perf_counter(), time.process_time()
        found = search.find(
            "resnet50", [DEPTHS, f"bottleneck={blocks}"], "params < 200M",
            "max field.layer4, min macs, max nodes", trials=trials,
        )  # fmt: skip
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        nodes = [one.figures["nodes"] for one in found.candidates]
        said = f"{min(nodes)} to {max(nodes)} nodes, {sum(nodes) / len(nodes):.0f} in the mean"
        print(
            f"{len(nodes):,} networks, bottleneck={blocks}, {said}: {wall:.1f} s, {cpu:.1f} s CPU"
        )


if __name__ == "__main__":
    main()
