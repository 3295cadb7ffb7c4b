/** The import rules of the house: downwards only. Each rule's comment says why. */
const rooms = (...names) => `^lib/(${names.join('|')})/`;

export default {
  forbidden: [
    {
      name: 'no-circular',
      comment: 'a circle of imports has no room that could be understood alone',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'platform-is-the-ground',
      comment: 'platform knows nothing of what stands on it',
      severity: 'error',
      from: { path: rooms('platform') },
      to: { path: '^(lib|functions)/', pathNot: rooms('platform') },
    },
    {
      name: 'postgres-knows-no-queue',
      severity: 'error',
      from: { path: rooms('postgres') },
      to: { path: '^(lib|functions)/', pathNot: rooms('postgres', 'platform') },
    },
    {
      name: 'jobs-know-no-capability',
      severity: 'error',
      from: { path: rooms('jobs') },
      to: { path: '^(lib|functions)/', pathNot: rooms('jobs', 'postgres', 'platform') },
    },
    {
      name: 'pgq-stands-alone',
      severity: 'error',
      from: { path: rooms('pgq') },
      to: { path: '^(lib|functions)/', pathNot: rooms('pgq', 'jobs', 'postgres', 'platform') },
    },
    {
      name: 'londiste-may-use-pgq',
      severity: 'error',
      from: { path: rooms('londiste') },
      to: { path: '^(lib|functions)/', pathNot: rooms('londiste', 'pgq', 'jobs', 'postgres', 'platform') },
    },
    {
      name: 'walmgr-uses-neither-queue-nor-replication',
      severity: 'error',
      from: { path: rooms('walmgr') },
      to: { path: '^(lib|functions)/', pathNot: rooms('walmgr', 'jobs', 'postgres', 'platform') },
    },
    {
      name: 'schema-installs-only',
      severity: 'error',
      from: { path: rooms('schema') },
      to: { path: '^(lib|functions)/', pathNot: rooms('schema', 'postgres', 'platform') },
    },
    {
      name: 'nothing-deployed-uses-local',
      comment: 'the emulator and the runner never reach a bundle',
      severity: 'error',
      from: { path: '^(functions|lib)/', pathNot: rooms('local', 'cli') },
      to: { path: rooms('local', 'cli') },
    },
    {
      name: 'tests-and-infra-are-not-imported',
      severity: 'error',
      from: { path: '^(functions|lib)/', pathNot: '^lib/(local|cli)/' },
      to: { path: '^(test|infra)/' },
    },
    {
      name: 'aws-clients-in-their-rooms',
      comment: 'each AWS client is imported where its service is used, and only there',
      severity: 'error',
      from: {
        path: '^(functions|lib)/',
        pathNot:
          '^lib/(jobs/(sender|deployed-queues|tick-waker)|platform/secrets|local/|walmgr/|pgq/consumers/)',
      },
      to: { path: '@aws-sdk/client-' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|test/|infra/build/slim/)' },
    moduleSystems: ['es6', 'cjs'],
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      extensions: ['.ts', '.js', '.mjs', '.json'],
    },
  },
};
