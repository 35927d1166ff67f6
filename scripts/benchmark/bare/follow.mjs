// A thread that computes the MD5 of a file while it grows. Each message is the number of bytes in the file, the last one `null`.
import { createHash } from 'node:crypto';
import { openSync, readSync } from 'node:fs';
import { parentPort, Worker, workerData } from 'node:worker_threads';

/** Returns `reached(bytes)`, and `end()`, which resolves with the MD5 in hex. */
export function followFile(path) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { path } });
  const digest = new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  return {
    reached: (bytes) => worker.postMessage(bytes),
    end() {
      worker.postMessage(null);
      return digest;
    },
  };
}

if (parentPort !== null && workerData?.path !== undefined) {
  const fd = openSync(workerData.path, 'r');
  const hash = createHash('md5');
  const buffer = Buffer.allocUnsafe(1024 * 1024);
  let at = 0;
  parentPort.on('message', (bytes) => {
    if (bytes === null) {
      parentPort.postMessage(hash.digest('hex'));
      parentPort.close();
      return;
    }
    while (at < bytes) {
      const count = readSync(fd, buffer, 0, Math.min(buffer.length, bytes - at), at);
      hash.update(buffer.subarray(0, count));
      at += count;
    }
  });
}
