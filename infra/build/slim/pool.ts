/** Stands in for pg-pool: a function keeps one connection per database (lib/postgres/warm.ts) and never makes a pool. */
export default class Pool {}
