/** `syncmount sandbox`: a sandbox in the foreground, until a signal ends it. */
import { type Sandbox, type SandboxOptions, startSandbox } from './index.js';

export interface SandboxCommandOptions extends SandboxOptions {
  /** One line of JSON instead of text for people. */
  json?: boolean;
  /** Ends the sandbox as a signal does. */
  signal?: AbortSignal;
}

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

function machineLine({ provider, endpoints, credentials, control }: Sandbox): string {
  return JSON.stringify({ provider, endpoints, credentials, control });
}

function peopleLines({ provider, endpoints, credentials, control }: Sandbox): string[] {
  const json = JSON.stringify(credentials);
  return [
    `A sandbox that speaks the API of ${provider} is running. Press Ctrl-C to end it.`,
    '',
    `  api      ${endpoints.api}`,
    `  upload   ${endpoints.upload}`,
    `  control  ${control}`,
    '',
    'Credentials of its one user:',
    '',
    `  ${json}`,
    '',
    'To mount it:',
    '',
    `  echo '${json}' | syncmount login sandbox --provider ${provider} --credentials - \\`,
    `    --endpoint api=${endpoints.api} --endpoint upload=${endpoints.upload}`,
    '  mkdir -p ~/sandbox && syncmount mount sandbox: ~/sandbox',
  ];
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
