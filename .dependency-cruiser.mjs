/**
 * The import graph: doors only, nothing that cannot be found. Cycles are the linter's, which tells
 * imports of types from imports of code; floors are scripts/floors.json's.
 */
export default {
  forbidden: [
    {
      name: 'doors-only',
      comment: 'Another package is reached through its name, never by a path into it.',
      severity: 'error',
      from: { path: '^packages/([^/]+)/src/' },
      to: {
        path: '^packages/([^/]+)/',
        pathNot: ['^packages/$1/', '/src/index\\.ts$', '/src/[a-z]+/index\\.ts$'],
      },
    },
    {
      name: 'nothing-missing',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-tests-in-sources',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/' },
      to: { path: '/test/' },
    },
  ],
  options: {
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(?:/dist/|/bundle/|/generated/|/test/|/conformance/)' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['@conclave/source', 'import', 'node', 'default'],
    },
  },
};
