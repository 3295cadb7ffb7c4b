/** Stands in for pg's reader of certificate signatures, which only channel binding needs. */
module.exports = {};
