/** The hosts that the documents name. A service may have up to three. */
export type HostName = 'api' | 'upload' | 'download';
