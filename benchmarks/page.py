"""The HTML page in headless Chromium: how long what a user does takes, to the next paint.

    python benchmarks/page.py

Milliseconds measured in the page, from the event to the second animation frame after it, median and
worst of several, for ResNet-152 and for a network of 5,121 nodes. Needs chromium and playwright.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

import archspec
from archspec.figures import figure

BIG = """\
spec: 1
name: five_thousand
input: [16, 64, 64]
blocks:
  Block:
    body:
      - residual:
          - {conv: {out: 16, kernel: 3, padding: 1}}
          - batch_norm
          - relu
          - {conv: {out: 16, kernel: 3, padding: 1}}
          - batch_norm
          - relu
      - relu
body:
  - {id: stages, repeat: 20, body: [{id: blocks, Block: {}, repeat: 32}]}
"""

# `act` runs, then two frames pass: the first paints what it did
TIMED = """async ([name, argument]) => {
  const view = document.getElementById("view"), { x, y } = view.getBoundingClientRect();
  const kinds = { wheel: WheelEvent, keydown: KeyboardEvent };
  const place = { clientX: x + 300, clientY: y + 300 };
  const usual = { bubbles: true, cancelable: true, pointerId: 1, ...place };
  const send = (type, what, more) =>
    what.dispatchEvent(new (kinds[type] ?? PointerEvent)(type, { ...usual, ...more }));
  const pointer = (what, ...types) => types.forEach((type) => send(type, what));
  const acts = {
    key: () => send("keydown", window, { key: argument }),
    click: () => pointer(document.querySelector(argument), "pointerdown", "pointerup", "click"),
    hover: () => pointer(document.querySelector(argument), "pointermove"),
    wheel: () => send("wheel", view, { deltaY: argument }),
    pan: () => {
      send("pointerdown", view);
      send("pointermove", view, { clientX: x + 300 + argument, clientY: y + 300 + argument });
      send("pointerup", view);
    },
    search: () => {
      const field = document.getElementById("search");
      field.value = argument;
      field.dispatchEvent(new Event("input"));
    },
    go: () => { location.hash = argument; },
  };
  const frame = () => new Promise(requestAnimationFrame);
  await frame();
  const start = performance.now();
  acts[name]();
  await frame();
  await frame();
  return performance.now() - start;
}"""

STEPS: tuple[tuple[str, str, Any], ...] = (
    ("open a block", "click", '#cards .block[aria-expanded="false"]'),
    ("hover a layer", "hover", "#cards .card:last-of-type"),
    ("open all", "key", "e"),
    ("hover, all open", "hover", "#cards .card"),
    ("zoom in", "wheel", -600),
    ("zoom out", "wheel", 600),
    ("pan", "pan", 400),
    ("search", "search", "conv 3"),
    ("go to a layer", "go", "{target}"),
    ("light or dark", "key", "d"),
    ("fit", "key", "f"),
    ("close all", "key", "c"),
)


def main() -> None:
    programs = (
        (archspec.load("resnet50", "resnet152"), "#open=layer3,layer3.17&on=layer3.17.conv2"),
        (archspec.loads(BIG), "#open=stages,stages.13,stages.13.blocks&on=stages.13.blocks.7"),
    )
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    quiet = ["--disable-gpu", "--disable-background-networking", "--no-first-run"]
    quiet += ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as running, tempfile.TemporaryDirectory() as folder:
        browser = running.chromium.launch(executable_path=binary, args=quiet)
        for program, target in programs:
            path = Path(folder) / f"{program.name}.html"
            text = figure(program, "html")
            assert isinstance(text, str)
            path.write_text(text, encoding="utf-8")
            print(f"{program.name}: {len(program.graph.steps):,} nodes, {len(text) / 1000:.0f} kB")
            print(f"  {'load':18}{_load(browser, path):7.0f} ms")
            for name, times in _steps(browser, path, target).items():
                print(f"  {name:18}{statistics.median(times):7.0f} ms, worst {max(times):.0f}")
        browser.close()


def _load(browser: Any, path: Path) -> float:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(path.as_uri())
    took = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    page.close()
    return float(took)


def _steps(browser: Any, path: Path, target: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name, _, _ in STEPS}
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(path.as_uri())
    for _ in range(7):
        for name, act, argument in STEPS:
            given = target if argument == "{target}" else argument
            found[name].append(page.evaluate(TIMED, [act, given]))
    page.close()
    return found


if __name__ == "__main__":
    main()
