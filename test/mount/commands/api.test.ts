/** `syncmount api`, as a process: the request at the service, the output, and the exit status. */
import { describe, expect, it } from 'vitest';
import { cleanUpWorlds, createWorld } from '../world.js';

describe('syncmount api', () => {
  cleanUpWorlds();

  it('prints what the service answers, bytes as they are, and all pages; an error of the service ends with 1', async () => {
    const world = await createWorld();
    const bytes = Buffer.from(Array.from({ length: 1000 }, (_, n) => n % 256));
    const { id } = await world.sandbox.store.putFile('/bytes', bytes);
    for (let n = 0; n < 120; n++) await world.sandbox.store.putFile(`/many/${n}`, '');

    const user = await world.cli(['api', 'work', 'get', '/user', '-i']);
    expect(user.stdout).toMatch(/^HTTP 200\n(?:.+\n)*content-type: application\/json.*\n(?:.+\n)*\n\{.*"rootFolderId"/);
    expect(user.code).toBe(0);

    await world.shell(`$SYNCMOUNT api work: GET /files/${id}/download > "$TOP/copy"`);
    expect(await world.shell(`md5sum < "$TOP/copy"`)).toBe(
      await world.shell(`md5sum < "${await world.write('bytes', bytes)}"`),
    );

    const pages = (await world.cli(['api', 'work', 'GET', '/user/files', '--paginate'])).stdout.trim().split('\n');
    expect(pages.map((page) => (JSON.parse(page) as { files: unknown[] }).files.length)).toEqual([100, 21]);

    expect(await world.cli(['api', 'work', 'GET', '/files/nothing'])).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('"code":"404'),
      stderr: 'syncmount: the service answered with status 404\n',
    });
    const made = await world.cli(
      [
        'api',
        'work',
        'POST',
        '/files',
        '-f',
        `folderId=${world.sandbox.store.rootId}`,
        '-f',
        'fileName=new',
        '--data',
        '-',
      ],
      'from stdin',
    );
    expect(made).toMatchObject({ code: 0, stdout: expect.stringContaining('"size":10') });
  });

  it('sends the login nowhere else, and tells no secret', async () => {
    const world = await createWorld();
    for (const path of ['/../../elsewhere', 'https://example.com/', '/%2e%2e/%2e%2e/x']) {
      const { code, stderr } = await world.cli(['api', 'work', 'GET', path]);
      expect([code > 0, stderr]).toEqual([true, expect.stringMatching(/path of the service|begin with/)]);
    }
    const { token, tokenSecret } = world.sandbox.credentials;
    world.sandbox.faults.add({
      action: { kind: 'status', status: 401, code: '401.0301', message: `${token} is dead` },
    });
    const { code, stderr } = await world.cli(['api', 'work', 'GET', '/user']);
    expect([code, stderr.includes(token), stderr.includes(tokenSecret)]).toEqual([1, false, false]);
  });
});
