import { expect, it } from 'vitest';
import { WaitingJobs } from '../../../src/filesystem/pins/waiting-jobs.js';

interface Job {
  readonly name: string;
  readonly notBefore: number;
}

it('gives jobs in the order in which they are due, and tells when the next one is', () => {
  const waiting = new WaitingJobs<Job>();
  const [late, soon, never] = [
    { name: 'late', notBefore: 60 },
    { name: 'soon', notBefore: 5 },
    { name: 'never', notBefore: 5 },
  ];
  waiting.add(late, 60);
  waiting.add(never, 5);
  waiting.add(soon, 5);
  waiting.add({ name: 'now', notBefore: 0 }, 0);
  waiting.delete(never);
  expect(waiting.size).toBe(3);
  expect([0, 0, 5, 59].map((now) => waiting.take(now)?.name)).toEqual(['now', undefined, 'soon', undefined]);
  expect(waiting.due()).toBe(60);
  expect(waiting.take(60)).toBe(late);
  expect([waiting.size, waiting.due(), waiting.take(1e9)]).toEqual([0, Number.POSITIVE_INFINITY, undefined]);
});

it('looks at a few of those that wait, however many there are', () => {
  const waiting = new WaitingJobs<Job>();
  let looks = 0;
  for (let n = 0; n < 1000; n++)
    waiting.add(
      {
        name: `${n}`,
        get notBefore() {
          looks++;
          return 60;
        },
      },
      60,
    );
  expect(waiting.take(10)).toBeUndefined();
  expect(waiting.due()).toBe(60);
  expect(waiting.take(60)?.name).toBe('0');
  expect(looks).toBeLessThan(10);
});
