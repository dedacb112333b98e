#!/usr/bin/env node
/* Old syntax on purpose: an old Node must be able to read this file and say what to do. */
'use strict'

var WANTED = 24

if (Number(process.versions.node.split('.')[0]) < WANTED) {
  var args = process.argv.slice(2).join(' ')
  console.error(
    'pinsub needs Node.js ' +
      WANTED +
      ' or newer; this is ' +
      process.version +
      '.\n' +
      'To run it with a newer one, without installing that for good:\n' +
      '  npx -y -p node@' +
      WANTED +
      ' -p pinsub pinsub' +
      (args === '' ? '' : ' ' + args)
  )
  process.exitCode = 1
} else {
  /* As if it had been named on the command line: import() is a syntax error in an old Node. */
  process.argv[1] = require('path').join(__dirname, '../dist/pinsub.js')
  require('module').runMain()
}
