// Loaded into the mount's process by NODE_OPTIONS. At each SIGUSR2 it writes the longest time since the last one for which the event loop
// was busy without a turn, to the file that LOOP_WATCH_FILE names: ms of the main thread's own CPU time, so that other programs of the
// machine do not count.
const fs = require('node:fs');
const { isMainThread } = require('node:worker_threads');

const file = process.env.LOOP_WATCH_FILE;
if (isMainThread && file !== undefined && process.argv.includes('--foreground')) {
  const schedule = fs.openSync(`/proc/self/task/${process.pid}/schedstat`, 'r');
  const buffer = Buffer.alloc(64);
  // "time spent on the cpu (in nanoseconds)" comes first: Documentation/scheduler/sched-stats.rst.
  const spent = () => Number(buffer.toString('latin1', 0, fs.readSync(schedule, buffer, 0, 64, 0)).split(' ')[0]) / 1e6;
  let before = spent();
  let longest = 0;
  setInterval(() => {
    const now = spent();
    longest = Math.max(longest, now - before);
    before = now;
  }, 2).unref();
  process.on('SIGUSR2', () => {
    fs.writeFileSync(`${file}.new`, longest.toFixed(1));
    fs.renameSync(`${file}.new`, file);
    longest = 0;
  });
}
