// Shared by the bare programs: their work comes as JSON on stdin, and they print the time that it took.
import { request as overHttp } from 'node:http';
import { request as overHttps } from 'node:https';
import { pipeline } from 'node:stream';
import { cpuOf } from '../process.mjs';

export async function input() {
  let text = '';
  for await (const part of process.stdin) text += part;
  return JSON.parse(text);
}

/** The answer's stream. `body`: a buffer or a stream. */
export function answerOf({ method, url, headers, length, agent }, body) {
  return new Promise((resolve, reject) => {
    const isChunked = headers['Transfer-Encoding'] !== undefined;
    const size =
      body === undefined || isChunked ? {} : { 'Content-Length': Buffer.isBuffer(body) ? body.length : length };
    const send = url.startsWith('https:') ? overHttps : overHttp;
    const request = send(url, { method, agent, headers: { ...headers, ...size } }, (answer) => {
      // 308: 4shared has stored a chunk, and expects others.
      if ((answer.statusCode >= 200 && answer.statusCode < 300) || answer.statusCode === 308) resolve(answer);
      else reject(new Error(`${method} ${url}: ${answer.statusCode}`));
    });
    request.on('error', reject);
    if (body === undefined || Buffer.isBuffer(body)) request.end(body);
    else pipeline(body, request, (error) => error && reject(error));
  });
}

/** Prints the cost of the work: seconds by the clock, and seconds of CPU in all threads and in the first one. */
export async function output(work) {
  const [begin, before] = [performance.now(), cpuOf(process.pid)];
  await work();
  const [seconds, now] = [(performance.now() - begin) / 1000, cpuOf(process.pid)];
  console.log(JSON.stringify({ seconds, cpu: { all: now.all - before.all, main: now.main - before.main } }));
  process.exit(0);
}
