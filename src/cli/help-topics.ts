/** What `syncmount help` explains besides the commands: a manual page each (manual.ts). */
export const topics = ['manual', 'fstab', 'config'] as const;
export type Topic = (typeof topics)[number];
