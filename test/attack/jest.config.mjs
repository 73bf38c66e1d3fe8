import base from '../../jest.config.mjs';

/** Real processes on disks of their own; swap is the whole machine's, so one file at a time. */
export default {
  ...base,
  testMatch: ['<rootDir>/test/attack/**/*.attack.ts'],
  testTimeout: 120_000,
  maxWorkers: 1,
};
