// Runs compiled simulations: on the main thread, in a worker, or in node. No dependencies.

/** The bytes that a page carries as base64 of their gzip; resolves to them. */
export function decode(base64) {
  const packed = new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))]);
  return new Response(packed.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

/**
 * Instantiate a module; resolves to run(values) -> {path: {data, shape, strides}}.
 *
 * values maps the names of the inputs to numbers, booleans or (nested) arrays. Entry (i, j, ...) of an output stands at
 * data[i * strides[0] + j * strides[1] + ...]. The data are views of the module's memory, which the next run
 * overwrites: copy them (data.slice()) to keep them. The function uses nothing outside of itself: a worker gets its text.
 */
export async function load(bytes, manifest) {
  const views = { float32: Float32Array, int32: Int32Array, uint32: Uint32Array, bool: Int32Array };
  const { instance } = await WebAssembly.instantiate(bytes, {});
  const { memory, ...symbols } = instance.exports;
  const bind = (part) => {
    const length = part.shape.reduce((a, b) => a * b, 1);
    return { ...part, data: new views[part.dtype](memory.buffer, symbols[part.symbol].value, length) };
  };
  const inputs = manifest.inputs.map(bind);
  const outputs = manifest.outputs.map(bind);
  return (values) => {
    for (const { name, data } of inputs) {
      const value = values[name];
      if (value === undefined) throw new Error(`missing input ${name}`);
      data.set(ArrayBuffer.isView(value) ? value : [value].flat(Infinity));
    }
    symbols[manifest.entry]();
    return Object.fromEntries(outputs.map(({ path, data, shape, strides }) => [path, { data, shape, strides }]));
  };
}

/**
 * The same in a worker of its own, for simulations that take longer than a frame: resolves to run(values) -> promise of
 * the results, which are copies. Runs answer in the order in which they were asked for. A classic worker from a Blob
 * also works on pages opened from disk.
 */
export async function loadInWorker(bytes, manifest) {
  const answer = async ({ data }) => {
    if (data.bytes) return void (self.run = load(data.bytes, data.manifest));
    try {
      const results = (await self.run)(data);
      for (const part of Object.values(results)) part.data = part.data.slice();
      postMessage({ results }, Object.values(results).map((part) => part.data.buffer));
    } catch (error) {
      postMessage({ error: String(error) });
    }
  };
  const worker = new Worker(URL.createObjectURL(new Blob([`${load}\nonmessage = ${answer}`])));
  const waiting = [];
  worker.onmessage = ({ data: { results, error } }) => {
    const { resolve, reject } = waiting.shift();
    error ? reject(new Error(error)) : resolve(results);
  };
  worker.postMessage({ bytes, manifest });
  worker.onerror = ({ message }) => waiting.splice(0).forEach(({ reject }) => reject(new Error(message)));
  const run = (values) =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      worker.postMessage(values);
    });
  run.stop = () => worker.terminate();
  return run;
}
