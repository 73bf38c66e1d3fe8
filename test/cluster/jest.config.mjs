import base from '../../jest.config.mjs';

/** Real processes: two files at a time, each with time to start a cluster. */
export default {
  ...base,
  testMatch: ['<rootDir>/test/cluster/**/*.cluster.ts'],
  testTimeout: 120_000,
  maxWorkers: 2,
};
