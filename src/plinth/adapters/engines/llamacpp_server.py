"""Child program: one llama.cpp server on a unix socket.

    python -m plinth.adapters.engines.llamacpp_server --spec FILE      (the key comes on standard input)

A native crash or a file that llama.cpp chokes on ends this process only.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from plinth.adapters.engines import _work
from plinth.adapters.engines._work import Refused

_LOG_PREFIX = re.compile(r"^[\d.]+ E\s+")
MISSING_PACKAGE = "This needs the optional part 'serve', which is not installed. Run: pip install 'plinth-maas[serve]'"


def serve(files: dict[str, Any], key: str) -> Any:
    """Start the server; it answers when this returns. Raises `Refused`."""
    try:
        import xllamacpp
    except ImportError:
        raise Refused(MISSING_PACKAGE) from None
    spec = files["spec"]
    for name, path in [(None, spec["model"]["path"]), *((a["name"], a["path"]) for a in spec["adapters"])]:
        with Path(path).open("rb") as file:
            if file.read(4) != b"GGUF":
                raise Refused(f"The file of {_work.describe(name)} is damaged: it is not a GGUF file.", adapter=name)
    Path(files["socket"]).unlink(missing_ok=True)
    try:
        return xllamacpp.Server(parameters(spec, files["socket"], key))
    except RuntimeError as error:
        raise _explained(files, str(error)) from error


def parameters(spec: dict[str, Any], socket: str, key: str) -> Any:
    """xllamacpp's CommonParams for a spec."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = spec["model"]["path"]
    params.model_alias = {Path(socket).stem}
    params.hostnames, params.api_keys = [socket], [key]
    # every slot has its own context: when a shared one overflows, everybody's requests fail
    params.kv_unified = False
    params.n_parallel = spec["slots"]
    params.n_ctx = spec["context_tokens"] * spec["slots"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = _work.threads(spec)
    params.check_tensors = True
    params.endpoint_metrics = params.endpoint_slots = True
    params.endpoint_props = params.ui = False
    params.verbosity = 1  # errors only: nothing of the prompts
    # prompts kept outside the slots are found again under any adapter, which would mix models
    params.cache_ram_mib = 0 if spec["adapters"] else spec["prompt_cache_mebibytes"]
    if spec["chat_template"]:
        params.chat_template = spec["chat_template"]
    if spec["adapters"]:
        params.lora_init_without_apply = True
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(a["path"], 0.0) for a in spec["adapters"]]
    if spec["role"] == "embed":
        params.embedding = True
        params.n_batch = params.n_ubatch = spec["context_tokens"]
    return params


def _explained(files: dict[str, Any], error: str) -> Refused:
    """llama.cpp's exception says only that it failed; its log says why."""
    spec = files["spec"]
    log = Path(files["log"]).read_text(encoding="utf-8", errors="replace")[-16_384:]
    lines = [_LOG_PREFIX.sub("", line).strip() for line in log.splitlines() if " E " in line]
    detail = "; ".join(dict.fromkeys(line[:200] for line in lines[:3])) or error
    for path in (spec["model"]["path"], *(a["path"] for a in spec["adapters"])):
        detail = detail.replace(path, Path(path).name)
    blamed = next((a["name"] for a in spec["adapters"] if a["path"] in log), None)
    # loading again may help only if memory was short
    permanent = "alloc" not in log.lower()
    reason = f"llama.cpp cannot load {_work.describe(blamed)}: {detail}"[:600]
    return Refused(reason, permanent=permanent, adapter=blamed)


if __name__ == "__main__":
    _work.run(serve)
