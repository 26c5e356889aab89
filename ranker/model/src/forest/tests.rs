#[test]
fn placeholder_replaced_below() {}
