/** The servers that the documents name: a service may spread its routes over three. */
export type HostName = 'api' | 'upload' | 'download';
