/**
 * Stands in for pg-pool: a function keeps one connection per database (lib/postgres/warm.ts) and never makes a pool.
 * CommonJS, because pg extends what require() gives it, which for an ES module is a namespace and no class.
 */
module.exports = class Pool {};
