// pg asks for results as text unless a query says `binary: true`, which none of ours does.
exports.init = () => {};
