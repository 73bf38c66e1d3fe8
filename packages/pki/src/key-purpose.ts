/** Object identifiers of the extended key usages (RFC 5280, 4.2.1.12). */
export const KEY_PURPOSE = {
  server: '1.3.6.1.5.5.7.3.1',
  client: '1.3.6.1.5.5.7.3.2',
} as const;
