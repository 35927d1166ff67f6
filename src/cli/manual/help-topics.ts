/** The topics of `syncmount help` besides the commands: each is a manual page (manual.ts) or a section of one (manual-sections.ts). */
export const pageTopics = ['manual', 'fstab', 'config'] as const;
export const sectionTopics = ['limits', 'monitoring'] as const;
export const topics = [...pageTopics, ...sectionTopics] as const;

export type PageTopic = (typeof pageTopics)[number];
export type SectionTopic = (typeof sectionTopics)[number];
