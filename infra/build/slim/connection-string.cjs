/** Stands in for pg's reader of connect strings: lib/postgres/target.ts reads them and gives pg their parts. */
exports.parse = () => {
  throw new Error('connect strings are read by lib/postgres/target.ts');
};
