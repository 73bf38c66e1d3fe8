import base from '../../jest.config.mjs';

/** Real processes: one file at a time, each with time to start a cluster. */
export default {
  ...base,
  testMatch: ['<rootDir>/test/cluster/**/*.cluster.ts'],
  testTimeout: 120_000,
  maxWorkers: 1,
};
