/** What `syncmount help` explains besides the commands: a manual page each (manual.ts), or a section (manual-sections.ts). */
export const pageTopics = ['manual', 'fstab', 'config'] as const;
export const sectionTopics = ['limits', 'monitoring'] as const;
export const topics = [...pageTopics, ...sectionTopics] as const;

export type PageTopic = (typeof pageTopics)[number];
export type SectionTopic = (typeof sectionTopics)[number];
