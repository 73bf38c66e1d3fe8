// Tests run straight from the sources: no build step, coverage attributed to src.
const sourceCondition = ['@conclave/source', 'node', 'node-addons'];

export default {
  testEnvironment: 'node',
  testEnvironmentOptions: { customExportConditions: sourceCondition },
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        module: { type: 'es6' },
        jsc: { target: 'es2023', parser: { syntax: 'typescript' } },
        sourceMaps: 'inline',
      },
    ],
  },
  testMatch: [
    '<rootDir>/packages/*/test/**/*.test.ts',
    '<rootDir>/test/{transcript,vectors}/**/*.test.ts',
  ],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  modulePathIgnorePatterns: ['/dist/', '/bundle/'],
  // Module graphs leak in ESM mode; recycled workers keep the peak bounded.
  workerIdleMemoryLimit: '512MB',
  maxWorkers: 2,
  // Generous: a busy machine must not turn a slow test into a failing one.
  testTimeout: 60_000,
};
