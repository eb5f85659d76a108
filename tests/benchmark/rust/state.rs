//! The fields, attributes, `load` and `save` of `State` in oci-spec-rs, callable from C. What a call
//! makes it drops before it returns, as the C++ side does. Pointers must be valid, texts UTF-8.
#![allow(clippy::missing_safety_doc)]

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ffi::{c_char, CStr, OsStr};
use std::fs::File;
use std::hint::black_box;
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum ContainerState {
    Creating,
    Created,
    Running,
    #[default]
    Stopped,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    #[serde(default, rename = "ociVersion")]
    version: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    status: ContainerState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    #[serde(default)]
    bundle: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<HashMap<String, String>>,
}

unsafe fn file<'a>(path: *const c_char) -> &'a Path {
    Path::new(OsStr::from_bytes(CStr::from_ptr(path).to_bytes()))
}

unsafe fn text<'a>(text: *const u8, size: usize) -> &'a str {
    std::str::from_utf8_unchecked(std::slice::from_raw_parts(text, size))
}

/// A state for rust_dump() and rust_save(), never freed.
#[no_mangle]
pub unsafe extern "C" fn rust_state(data: *const u8, size: usize) -> *const State {
    Box::into_raw(Box::new(serde_json::from_str(text(data, size)).unwrap()))
}

#[no_mangle]
pub unsafe extern "C" fn rust_parse(data: *const u8, size: usize) {
    black_box(serde_json::from_str::<State>(text(data, size)).unwrap());
}

#[no_mangle]
pub unsafe extern "C" fn rust_dump(state: *const State) {
    black_box(serde_json::to_string(&*state).unwrap());
}

#[no_mangle]
pub unsafe extern "C" fn rust_load(path: *const c_char) {
    let reader = BufReader::new(File::open(file(path)).unwrap());
    black_box(serde_json::from_reader::<_, State>(reader).unwrap());
}

#[no_mangle]
pub unsafe extern "C" fn rust_save(state: *const State, path: *const c_char) {
    let mut writer = BufWriter::new(File::create(file(path)).unwrap());
    serde_json::to_writer(&mut writer, &*state).unwrap();
    writer.flush().unwrap();
}
