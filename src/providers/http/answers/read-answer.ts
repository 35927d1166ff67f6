/** Reads the body of a small answer into memory, with limits on its size and on the time that it may take. */

import { promisify } from 'node:util';
import { brotliDecompress, unzip as inflate } from 'node:zlib';
import { messageOf } from '../../../base/errors.js';
import { turn } from '../../../base/event-loop-turns.js';
import { bytesOf } from '../../content.js';
import { TransportFailure, type WireResponse } from '../transport/wire.js';
import { type Answer, header } from './answer.js';
import { protocolFailure, TryFailure } from './http-error.js';
import { parsedAtOnce } from './parse-json.js';

/** The documents' answers are lists of at most 100 objects. A larger answer is an attack or a mistake. */
const maxJsonBytes = 32 * 1024 * 1024;
const unzip = promisify(inflate);
const fromBrotli = promisify(brotliDecompress);

/** A slow answer may take this many times the stall timeout of a try. */
const maxStallTimes = 10;

/** Reads from a slow server while bytes keep coming, up to `maxStallTimes`. */
async function readText({ status, headers, body, watch }: WireResponse, route: string): Promise<string> {
  const giveUpAt = performance.now() + maxStallTimes * watch.stallMs;
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body) {
    watch.moved();
    bytes += part.byteLength;
    if (bytes > maxJsonBytes || performance.now() > giveUpAt)
      throw new TransportFailure('stalled', 'an answer that does not end', undefined);
    parts.push(bytesOf(part));
  }
  const coding = header(headers, 'content-encoding')?.trim().toLowerCase() ?? '';
  if (coding !== '' && coding !== 'identity' && bytes > 0) {
    const text = await unpacked(Buffer.concat(parts, bytes), coding).catch((error: unknown) => {
      const what = `an answer in a coding that was not asked for (${coding.slice(0, 20)}): ${messageOf(error)}`;
      throw protocolFailure(route, what, { status }, error);
    });
    return text.byteLength <= parsedAtOnce ? text.toString() : await decodeParts([text]);
  }
  return bytes <= parsedAtOnce ? Buffer.concat(parts, bytes).toString() : await decodeParts(parts);
}

/** Decompresses: some servers compress although we ask them not to. Rejects if the coding is unknown or the text is too long. */
function unpacked(bytes: Uint8Array, coding: string): Promise<Buffer> {
  const limit = { maxOutputLength: maxJsonBytes };
  // `unzip` tells gzip and deflate apart.
  return coding === 'br' ? fromBrotli(bytes, limit) : unzip(bytes, limit);
}

/** Decodes a long body part by part, with a turn of the event loop between the parts. */
async function decodeParts(parts: readonly Uint8Array[]): Promise<string> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const texts: string[] = [];
  for (const part of parts) {
    texts.push(decoder.decode(part, { stream: true }));
    await turn();
  }
  return texts.join('') + decoder.decode();
}

/** Reads a small answer to its end and ends its watch. */
export async function readAnswer(response: WireResponse, route: string): Promise<Answer> {
  const { status, headers, body, watch } = response;
  try {
    if (Number(header(headers, 'content-length') ?? 0) > maxJsonBytes) {
      body.on('error', () => {}).destroy();
      throw protocolFailure(route, 'an answer of unreasonable size', { status });
    }
    return { status, headers, text: await readText(response, route), authorization: response.authorization };
  } catch (error) {
    throw error instanceof TryFailure ? error : watch.failure(error);
  } finally {
    watch.end();
  }
}
