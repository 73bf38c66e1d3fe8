// The simulator with fixed seeds: `npm run test:simulation`.
import base from '../../jest.config.mjs';

export default {
  ...base,
  testMatch: ['<rootDir>/test/simulation/**/*.sim.ts'],
  testTimeout: 120_000,
};
