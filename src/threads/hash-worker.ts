/** The thread of hash-thread.ts: reads spans of files and hashes them. It may block, so it reads with plain system calls. */
import { createHash, type Hash } from 'node:crypto';
import { readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { type FileSpan, firstWrongPart } from '../base/content-hasher.js';
import { messageOf } from '../base/errors.js';
import type { HashAnswer, HashRequest } from './hash-messages.js';
import { lowerPriority } from './thread-priority.js';

const hashes = new Map<number, Hash>();
let buffer = Buffer.alloc(0);

function hashOf(stream: number): Hash {
  let hash = hashes.get(stream);
  if (hash === undefined) {
    hash = createHash('md5');
    hashes.set(stream, hash);
  }
  return hash;
}

function addSpan(hash: Hash, { fd, position, length, crcs, partBytes }: FileSpan): number | null {
  if (buffer.length < length) buffer = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const count = readSync(fd, buffer, done, length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  const data = buffer.subarray(0, done);
  const wrong = firstWrongPart(data, crcs, partBytes);
  if (wrong === null) hash.update(data);
  return wrong;
}

function handle(request: HashRequest): void {
  const { stream } = request;
  if (request.kind === 'bytes') return void hashOf(stream).update(request.data);
  if (request.kind === 'drop') return void hashes.delete(stream);
  const { id } = request;
  let answer: HashAnswer;
  try {
    if (request.kind === 'span') answer = { id, result: addSpan(hashOf(stream), request.span) };
    else answer = { id, result: hashOf(stream).digest('hex') };
  } catch (error) {
    answer = { id, failure: messageOf(error) };
  }
  if (request.kind === 'hex') hashes.delete(stream);
  parentPort?.postMessage(answer);
}

lowerPriority();
parentPort?.on('message', handle);
