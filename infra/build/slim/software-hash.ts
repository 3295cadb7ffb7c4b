/** Stand in for hashes in JavaScript, which the SDK keeps for a Node.js without node:crypto. */
export class Sha256Js {}
export class Md5Js {}
