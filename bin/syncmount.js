#!/usr/bin/env node
import '../dist/syncmount.js';
