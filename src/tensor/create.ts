/** Tensors from JavaScript values. */
import { TensorError } from "../errors.js";
import type { Device, DType } from "./dtype.js";
import { guarded } from "./native.js";
import { Tensor } from "./tensor.js";

/** Row-major values with a shape; float32 on the cpu unless told otherwise. Copies. */
export function tensor(
  values: readonly number[] | Float32Array | Float64Array | Int32Array | Uint8Array | BigInt64Array,
  shape: readonly number[],
  dtype: DType = "float32",
  device: Device = "cpu",
): Tensor {
  const elements = shape.reduce((product, length) => product * length, 1);
  if (values.length !== elements) {
    throw new TensorError(
      `tensor: shape [${shape.join(", ")}] needs ${elements} values, found ${values.length}`,
    );
  }
  const isNarrow = dtype === "bfloat16" || dtype === "float16";
  if (isNarrow || device !== "cpu") {
    const made = tensor(values, shape, isNarrow ? "float32" : dtype);
    const converted = made.toDevice(device, dtype);
    made.dispose();
    return converted;
  }
  return new Tensor(guarded((engine) => engine.fromBytes(pack(values, dtype), dtype, shape)));
}

function pack(values: ArrayLike<number | bigint>, dtype: DType): ArrayBufferView {
  switch (dtype) {
    case "float32":
      return values instanceof Float32Array ? values : Float32Array.from(values as ArrayLike<number>, Number);
    case "float64":
      return values instanceof Float64Array ? values : Float64Array.from(values as ArrayLike<number>, Number);
    case "int64":
      return values instanceof BigInt64Array
        ? values
        : BigInt64Array.from(values as ArrayLike<number>, BigInt);
    case "int32":
      return values instanceof Int32Array ? values : Int32Array.from(values as ArrayLike<number>, Number);
    case "uint8":
    case "bool":
      return values instanceof Uint8Array ? values : Uint8Array.from(values as ArrayLike<number>, Number);
    default:
      throw new TensorError(`tensor: values of dtype ${dtype} cannot be given directly`);
  }
}
