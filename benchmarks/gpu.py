"""What holds on a GPU: values, speed, memory, training; beside the same in plain torch.

    python benchmarks/gpu.py                    all of it, about six minutes on a card of today
    python benchmarks/gpu.py equal speed        these parts

`equal`      networks of torchvision, to the bit, in evaluation and in training
`devices`    every shipped spec and 100 random ones: forward and backward there, against the CPU
`speed`      a step and an inference, seconds and peak memory, as ratios beside torchvision's
`fit`        `fit` on ResNet-50 in bf16 beside a plain loop: pictures a second
`memory`     what a step is predicted to hold, against the allocator's peak
`resume`     a run that is cut off and gone on with, against the same run left alone

Without a GPU it goes through the motions on the CPU, with little in them.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import archspec
from archspec import shelf, train
from archspec.train import engine, groups, memory, named, reading, state
from archspec.train.start import prepare

sys.path += [str(Path(__file__).resolve().parent.parent / "tests" / part) for part in ("", "zoo")]
import shipped

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
NETWORKS = (
    ("vgg16", "vgg16"), ("resnet50", "resnet18"), ("resnet50", "resnet50"),
    ("mobilenet_v2", "mobilenet_v2"), ("densenet121", "densenet121"), ("googlenet", "googlenet"),
    ("efficientnet_b0", "efficientnet_b0"), ("convnext_tiny", "convnext_tiny"),
    ("vit_b_16", "vit_b_16"), ("shufflenet_v2", "shufflenet_v2"),
)  # fmt: skip
SMALL = {
    "gpt2": "gpt2_tiny", "bert_base": "bert_tiny", "clip": "clip_small",
    "stable_diffusion_unet": "stable_diffusion_unet_small",
}  # fmt: skip
LARGEST = 70e6  # parameters of a network that goes through forward and backward


# ---------------------------------------------------------------- values


def equal() -> None:
    """Outputs, gradients and statistics of a pair with the same weights, seed by seed."""
    from references import REFERENCES
    from test_zoo import assert_identical, carried, inputs, random_reference, tensors, without_noise

    torch.use_deterministic_algorithms(True, warn_only=True)
    same = 0
    keys = [key for key in REFERENCES if key in NETWORKS] if GPU else [("alexnet", "torchvision")]
    for key in keys:
        reference = REFERENCES[key]
        program = shipped.program(*key)
        torch.manual_seed(0)
        theirs = random_reference(reference)
        pair = [without_noise(m).to(DEVICE) for m in (carried(theirs, program, reference), theirs)]
        samples = [x.to(DEVICE) for x in inputs(program, 8, reference.sizes)]
        try:
            for training in (False, True):
                found, wanted = (module.train(training)(*samples) for module in pair)
                assert_identical(found, reference.result(wanted))
            for result in (found, wanted):
                torch.stack([t.sum() for _, t in tensors(_listed(result))]).sum().backward()
            grads = [{n: p.grad for n, p in module.named_parameters()} for module in pair]
            unlike = {n for n, g in grads[1].items() if g is not None and not g.equal(grads[0][n])}
            if unlike and _restless(pair[1], samples):
                print(f"  {key[1]}: outputs are equal, torch's own gradients differ by themselves")
                unlike = set()
            assert not unlike, f"gradients of {sorted(unlike)[:3]}"
            same += 1
        except AssertionError as failed:
            print(f"  {key[1]}: differs, {failed}", flush=True)
    torch.use_deterministic_algorithms(False)
    print(f"equal to the bit, gradients too: {same} of {len(keys)} networks", flush=True)


def _restless(module: nn.Module, samples: list[torch.Tensor]) -> bool:
    """Whether two passes of one network give other gradients: some kernels add in any order."""
    runs = []
    for _ in range(2):
        module.zero_grad()
        module(*samples).sum().backward()
        runs.append([p.grad.clone() for p in module.parameters() if p.grad is not None])
    return not all(a.equal(b) for a, b in zip(*runs, strict=True))


def _listed(result: Any) -> Any:
    return result._asdict() if hasattr(result, "_asdict") else result


def devices() -> None:
    """Each network where it is made, and there: what it makes on its way has to be there too."""
    from random_specs import from_seed

    programs = [archspec.load(name, SMALL.get(name)) for name in shelf.names()]
    for seed in range(100 if GPU else 10):
        try:
            programs.append(archspec.loads(from_seed(seed)))
        except archspec.SpecError:
            continue
    if not GPU:
        programs = programs[-10:]
    tally = dict.fromkeys(("alike", "too large", "fails"), 0)
    worst = 0.0
    for program in programs:
        if program.analysis.totals.trainable > LARGEST:
            tally["too large"] += 1
            continue
        try:
            worst = max(worst, _apart(program))
            tally["alike"] += 1
        except Exception as failed:
            tally["fails"] += 1
            print(f"  {program.name}: {type(failed).__name__}: {str(failed)[:200]}", flush=True)
            traceback.print_exc(limit=-2)
    print(f"on the device: {tally}, outputs at most {worst:.1e} of the largest apart", flush=True)


def _apart(program: archspec.Program) -> float:
    """How far the outputs are apart, of the largest; in evaluation, in float64."""
    from test_random_specs import inputs_of
    from test_zoo import tensors

    torch.manual_seed(0)
    module = archspec.build(program).eval().double()
    given = [x.double() if x.is_floating_point() else x for x in inputs_of(program, "cpu").values()]
    if max(x.numel() for x in given) > 1e6:
        given = [x[:2] for x in given]
    with torch.no_grad():
        wanted = dict(tensors(_listed(module(*given))))
    there = module.to(DEVICE)
    with torch.no_grad():
        found = dict(tensors(_listed(there(*[x.to(DEVICE) for x in given]))))
    assert found.keys() == wanted.keys()
    apart = 0.0
    for path, value in wanted.items():
        assert found[path].device.type == DEVICE.type, path
        if value.is_floating_point():
            far = (found[path].cpu() - value).abs().max() / value.abs().max().clamp(min=1e-9)
            apart = max(apart, float(far))
        else:
            assert torch.equal(found[path].cpu(), value), path
    assert apart < 1e-6, f"outputs {apart:.1e} apart"
    outputs = [t for _, t in tensors(_listed(there.train()(*[x.to(DEVICE) for x in given])))]
    if any(t.requires_grad for t in outputs):
        torch.stack([t.double().sum() for t in outputs if t.requires_grad]).sum().backward()
    return apart


# ---------------------------------------------------------------- speed


@contextmanager
def _watched(times: list[float], peaks: list[int]) -> Iterator[None]:
    if GPU:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    yield
    if GPU:
        torch.cuda.synchronize()
        peaks.append(torch.cuda.max_memory_allocated())
    times.append(time.perf_counter() - start)


def _step(module: nn.Module, x: torch.Tensor) -> None:
    out = module(x)
    if not isinstance(out, torch.Tensor):
        out = _listed(out)
        out = torch.stack([t.sum() for t in (out.values() if isinstance(out, dict) else out)])
    out.sum().backward()
    module.zero_grad()


def _inference(module: nn.Module, x: torch.Tensor) -> None:
    with torch.no_grad():
        module(x)


def speed() -> None:
    """Rounds of both in turns: medians of the ratios of a round."""
    torch.backends.cudnn.benchmark = True
    for spec, name in NETWORKS if GPU else NETWORKS[-1:]:
        import torchvision

        arguments = {"init_weights": False} if name == "googlenet" else {}
        same = {"shufflenet_v2": "shufflenet_v2_x1_0"}.get(name, name)
        theirs = getattr(torchvision.models, same)(weights=None, **arguments)
        ours = archspec.build(shipped.program(spec, name))
        x = torch.randn(64 if GPU else 1, 3, 224, 224, device=DEVICE)
        line = f"{name:20}"
        for training, work in ((True, _step), (False, _inference)):
            pair = [m.to(DEVICE).train(training) for m in (ours, theirs)]
            ratios, peak = _in_turns(work, pair, x)
            line += f"  {work.__name__[1:]} {statistics.median(ratios):.3f}  peak {peak:.3f}"
        print(line, flush=True)
        del ours, theirs, pair


def _in_turns(
    work: Callable[[nn.Module, torch.Tensor], None], pair: list[nn.Module], x: torch.Tensor
) -> tuple[list[float], float]:
    times: tuple[list[float], list[float]] = ([], [])
    peaks: tuple[list[int], list[int]] = ([], [])
    rounds, calls = (12, 4) if GPU else (1, 1)
    for number in range(rounds + 2):
        order = (0, 1) if number % 2 else (1, 0)
        for k in order:
            with _watched(times[k], peaks[k]):
                for _ in range(calls):
                    work(pair[k], x)
    ratios = [a / b for a, b in zip(times[0][2:], times[1][2:], strict=True)]
    return ratios, peaks[0][-1] / peaks[1][-1] if GPU else float("nan")


# ---------------------------------------------------------------- training

SGD = {"lr": 0.01, "momentum": 0.9}


def _plain(model: nn.Module, x: Any, y: Any, batch: int, *, shown: bool = False) -> Iterator[float]:
    """A loop as one writes it, in bf16: seconds of each epoch."""
    model.to(DEVICE).train()
    optimizer = torch.optim.SGD(model.parameters(), **SGD)
    loader = DataLoader(TensorDataset(x, y), batch, shuffle=True, pin_memory=GPU, num_workers=4)
    while True:
        start = time.perf_counter()
        total = torch.zeros((), device=DEVICE)
        for xs, ys in loader:
            images, labels = xs.to(DEVICE, non_blocking=True), ys.to(DEVICE, non_blocking=True)
            with torch.autocast(DEVICE.type, torch.bfloat16):
                loss = nn.functional.cross_entropy(model(images), labels)
            if shown:
                loss.item()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            total += loss.detach()
        total.item()
        yield time.perf_counter() - start


def _shown(model: nn.Module, x: Any, y: Any, batch: int) -> Iterator[float]:
    """The same, which asks for every loss, as one does that stops at what is no number."""
    return _plain(model, x, y, batch, shown=True)


def _ours(model: nn.Module, x: Any, y: Any, batch: int) -> Iterator[float]:
    """The loop of `fit`, evaluation and checkpoints left out, which a plain loop lacks."""
    plan = reading.given(None, {
        "batch": batch, "epochs": 10**6, "optimizer": {"sgd": SGD}, "log": None, "decay": "all",
        "precision": "bf16", "data": {"val": 0, "normalize": "none", "workers": 4},
    })  # fmt: skip
    training = engine.Training(prepare(model, (x, y), plan, quiet=True), engine.accelerator(plan))
    training.screen = engine.log.Screen(0, 0, quiet=True)
    training.enter()
    while True:
        start = time.perf_counter()
        training.epoch()
        if GPU:
            torch.cuda.synchronize()
        yield time.perf_counter() - start


def fit() -> None:
    """Epochs of the three loops in turns; torch's loader starts its processes in each of them."""
    torch.backends.cudnn.benchmark = True
    samples, batch, size = (4096, 128, 224) if GPU else (16, 8, 64)
    name = "resnet50" if GPU else "resnet18"
    inputs = {"input": (3, size, size)}
    program = archspec.load("resnet50", None if GPU else name, inputs=inputs, classes=10)
    x, y = torch.empty(samples, 3, size, size).uniform_(), torch.randint(10, (samples,))
    loops = [loop(archspec.build(program), x, y, batch) for loop in (_plain, _shown, _ours)]
    for loop in loops:
        next(loop)
    times = [[next(loop) for loop in loops] for _ in range(4 if GPU else 1)]
    rates = [samples / statistics.median(one) for one in zip(*times, strict=True)]
    ratios = [statistics.median(one[k] / one[2] for one in times) for k in (0, 1)]
    print(
        f"{name} in bf16, pictures a second: plain {rates[0]:.0f}, plain that asks for its loss"
        f" {rates[1]:.0f}, fit {rates[2]:.0f}: {ratios[0]:.3f} and {ratios[1]:.3f}",
        flush=True,
    )


# ---------------------------------------------------------------- memory


def memory_of_a_step() -> None:
    """AdamW and everything trained; cuDNN is asked for kernels that want no room beside."""
    torch.backends.cudnn.benchmark = False
    for spec, name in (*NETWORKS, ("unet", "unet")) if GPU else ():
        for precision in ("fp32", "bf16"):
            program = shipped.program(spec, name)
            plan = reading.given(None, {"optimizer": "adamw", "precision": precision})
            model = archspec.build(program)
            on = engine.accelerator(plan)
            free = [n for n, value in model.named_parameters() if value.requires_grad]
            (need,) = memory.needs({"": program}, plan, free, on)
            model.to(DEVICE).train()
            optimizer = named.made(plan.optimizer, list(model.parameters()))
            assert groups.trained(plan, 0, free) == free
            shape = program.graph.steps[0].outs[0].shape
            batch = 8 if name == "unet" else 64
            x = torch.randn(batch, *shape, device=DEVICE)
            try:
                for _ in range(2):
                    torch.cuda.reset_peak_memory_stats()
                    with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
                        out = _listed(model(x))
                    out = out if isinstance(out, torch.Tensor) else next(iter(out.values()))
                    nn.functional.cross_entropy(
                        out.float(), torch.zeros(batch, *out.shape[2:], dtype=int, device=DEVICE)
                    ).backward()
                    optimizer.step()
                    optimizer.zero_grad()
                peak = torch.cuda.max_memory_allocated()
            except torch.cuda.OutOfMemoryError:
                peak = 0
            said = need.bytes(batch)
            print(
                f"{name:20} {precision}  predicted {said / 2**20:8.0f} MiB"
                f"  allocator {peak / 2**20:8.0f} MiB  {said / max(peak, 1):.3f}", flush=True
            )  # fmt: skip
            del model, optimizer, out, x
            torch.cuda.empty_cache()


# ---------------------------------------------------------------- a run cut off


def resume() -> None:
    """Weights of a run in two parts against those of one."""
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(600) % 10
    centres = torch.randn(10, 1, 32, 32, generator=generator)
    x = centres[y] + torch.randn(600, 1, 32, 32, generator=generator)
    plan = {"epochs": 6, "batch": 50, "optimizer": {"adamw": {"lr": 0.002}}, "seed": 3, "ema": 0.9}
    program = archspec.load("lenet5", inputs={"input": (1, 32, 32)})
    with tempfile.TemporaryDirectory() as folder:
        begun = [archspec.build(program) for _ in range(2)]
        begun[1].load_state_dict(begun[0].state_dict())
        train.fit(begun[0], (x, y), log=str(Path(folder, "a")), quiet=True, **plan)
        update, stop = engine.Training.update, 31

        def ended(self: Any, *args: Any) -> None:
            if self.at.steps == stop:
                raise KeyboardInterrupt
            update(self, *args)

        engine.Training.update = ended  # type: ignore[method-assign]
        try:
            train.fit(begun[1], (x, y), log=str(Path(folder, "b")), quiet=True, **plan)
        except KeyboardInterrupt:
            pass
        finally:
            engine.Training.update = update  # type: ignore[method-assign]
        fresh = archspec.build(program)
        train.fit(fresh, (x, y), resume=Path(folder, "b"), quiet=True)
        ends = [module.state_dict().values() for module in (begun[0], fresh)]
        same = all(torch.equal(a, b) for a, b in zip(*ends, strict=True))
    print(f"cut off and gone on with: {'the same bits' if same else 'OTHER bits'}", flush=True)


PARTS: dict[str, Callable[[], None]] = {
    "devices": devices, "equal": equal, "speed": speed, "fit": fit, "memory": memory_of_a_step,
    "resume": resume,
}  # fmt: skip

if __name__ == "__main__":
    import stand_ins

    stand_ins.torchvision()
    print(torch.__version__, torch.cuda.get_device_name() if GPU else "no GPU", flush=True)
    state.seed_all(0)
    for part in [name for name in sys.argv[1:] if name in PARTS] or PARTS:
        begin = time.perf_counter()
        try:
            PARTS[part]()
        except Exception:
            traceback.print_exc()
        print(f"  {part}: {time.perf_counter() - begin:.0f} s", flush=True)
