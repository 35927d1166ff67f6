/** `syncmount sandbox`: runs a sandbox in the foreground until a signal ends it. */
import { type AnySandbox, type AnySandboxOptions, startSandbox } from './index.js';

export type SandboxCommandOptions = AnySandboxOptions & {
  /** Print one line of JSON instead of text. */
  json?: boolean;
  /** Ends the sandbox as a signal does. */
  signal?: AbortSignal;
};

/** Starts the sandbox, prints how to use it, and returns once SIGINT or SIGTERM (or `signal`) has ended it. */
export async function runSandboxCommand(
  options: SandboxCommandOptions,
  print: (line: string) => void = (line) => process.stdout.write(`${line}\n`),
): Promise<void> {
  const { json = false, signal, ...rest } = options;
  const sandbox = await startSandbox(rest);
  const ended = untilEnded(signal);
  for (const line of json ? [machineLine(sandbox)] : peopleLines(sandbox)) print(line);
  await ended;
  await sandbox.close();
}

function machineLine({ provider, endpoints, credentials, control }: AnySandbox): string {
  return JSON.stringify({ provider, endpoints, credentials, control });
}

function peopleLines({ provider, endpoints, credentials, control }: AnySandbox): string[] {
  const json = JSON.stringify(credentials);
  const addresses = [...Object.entries(endpoints), ['control', control]];
  const flags = Object.entries(endpoints).map(([name, url]) => `--endpoint ${name}=${url}`);
  const login = `syncmount login sandbox --provider ${provider}`;
  return [
    `A sandbox that speaks the API of ${provider} is running. Press Ctrl-C to end it.`,
    '',
    ...addresses.map(([name = '', url]) => `  ${name.padEnd(9)} ${url}`),
    '',
    'Credentials of its one user:',
    '',
    `  ${json}`,
    '',
    'To mount it:',
    '',
    `  echo '${json}' | ${login} --credentials - \\`,
    ...flags.map((flag, at) => `    ${flag}${at < flags.length - 1 ? ' \\' : ''}`),
    '  mkdir -p ~/sandbox && syncmount mount sandbox: ~/sandbox',
    '',
    ...interactive(provider, `${login} ${flags.join(' ')}`),
  ];
}

/** How a user logs in interactively, without credentials from before. */
function interactive(provider: AnySandbox['provider'], login: string): string[] {
  switch (provider) {
    case '5sync':
      return ['Or type the API key above when it is asked for:', '', `  ${login}`];
    case 'acronis':
      return ['Or type the user name and the password above, or allow it in the browser:', '', `  ${login}`];
    default:
      return ['Or allow it in the browser: leave token and tokenSecret out of the credentials.'];
  }
}

function untilEnded(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      process.off('SIGINT', end);
      process.off('SIGTERM', end);
      resolve();
    };
    process.on('SIGINT', end);
    process.on('SIGTERM', end);
    if (signal?.aborted) end();
    signal?.addEventListener('abort', end, { once: true });
  });
}
