"""A server of llama.cpp in a process of its own, and a GGUF file in float32.

    PYTHON tools/llama_child.py serve FILE --slots 4 --threads 1
    PYTHON tools/llama_child.py float32 FILE TARGET

PYTHON is an interpreter with the packages `xllamacpp` and `gguf`; nothing else is needed. `serve`
prints its address in one line and runs until it is killed or its standard input ends. Keys and
values of attention are kept in float32, since llama.cpp's default is half precision. `--no-flash`
switches flash attention off, which is less exact. `float32` copies names and metadata and
dequantises every tensor.
"""

import argparse
import sys


def serve_file(path, slots, threads, context, flash):
    "Serve a GGUF file on a free port"
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_parallel = slots
    params.n_ctx = slots * context
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.cache_type_k = xllamacpp.ggml_type.GGML_TYPE_F32
    params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    if not flash:
        disabled = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.flash_attn_type = disabled
    params.port = 0
    params.verbosity = 0
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


def write_float32(path, target):
    "Write a GGUF file with every tensor in float32"
    import gguf

    reader = gguf.GGUFReader(path)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        kind = field.types[0]
        if name == "general.file_type":
            writer.add_key_value(name, gguf.LlamaFileType.ALL_F32, kind)
        elif kind == gguf.GGUFValueType.ARRAY:
            writer.add_key_value(name, field.contents(), kind, sub_type=field.types[-1])
        else:
            writer.add_key_value(name, field.contents(), kind)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.dequantize(tensor.data, tensor.tensor_type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True)
    serve = actions.add_parser("serve", help="serve a file")
    serve.add_argument("file")
    serve.add_argument("--slots", type=int, default=1, help="requests at a time (1)")
    serve.add_argument("--threads", type=int, default=1, help="threads (1)")
    serve.add_argument("--context", type=int, default=2048, help="tokens of one slot (2048)")
    serve.add_argument("--no-flash", action="store_true", help="without flash attention")
    float32 = actions.add_parser("float32", help="dequantise a file")
    float32.add_argument("file")
    float32.add_argument("target")
    args = parser.parse_args()
    if args.action == "serve":
        serve_file(
            args.file,
            args.slots,
            threads=args.threads,
            context=args.context,
            flash=not args.no_flash,
        )
    else:
        write_float32(args.file, args.target)


if __name__ == "__main__":
    main()
