/** The import graph: no cycles, nothing undeclared, doors only. Floors are scripts/floors.json's. */
export default {
  forbidden: [
    { name: 'no-cycle', severity: 'error', from: {}, to: { circular: true } },
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
