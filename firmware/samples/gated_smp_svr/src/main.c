/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A motor with a button and a light, gated: its firmware changes only in maintenance, which the motor must not run in.
 *
 * Hold the button for five seconds, or let an operator prove itself (`keyswitch update`). The policy is the shipped example:
 * examples/pump/policy.toml.
 */
#include <zephyr/bluetooth/bluetooth.h>
#include <zephyr/drivers/gpio.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/settings/settings.h>

#include <keyswitch/keyswitch.h>

LOG_MODULE_REGISTER(sample, LOG_LEVEL_INF);

/* Each is there if the board's devicetree has the alias. */
static const struct gpio_dt_spec button = GPIO_DT_SPEC_GET_OR(DT_ALIAS(sw0), gpios, {0});
static const struct gpio_dt_spec motor = GPIO_DT_SPEC_GET_OR(DT_ALIAS(motor0), gpios, {0});
static const struct gpio_dt_spec light = GPIO_DT_SPEC_GET_OR(DT_ALIAS(led0), gpios, {0});

static struct gpio_callback button_callback;

/* --- the motor: it asks before it runs, and is stopped when maintenance begins --- */

static void set(const struct gpio_dt_spec *pin, int value)
{
	if (pin->port != NULL) {
		(void)gpio_pin_set_dt(pin, value);
	}
}

void motor_run(bool run)
{
	if (run && ks_inhibited(KS_POLICY_INHIBIT_MOTION)) {
		LOG_INF("the motor stays where it is: maintenance");
		return;
	}
	/* Motion is a safety input: told before it begins, and after it has ended. */
	if (run) {
		ks_input_set(KS_POLICY_INPUT_MOTION, 1);
	}
	set(&motor, run);
	if (!run) {
		ks_input_set(KS_POLICY_INPUT_MOTION, 0);
	}
}

static void on_inhibit(uint32_t inhibits)
{
	if ((inhibits & KS_POLICY_INHIBIT_MOTION) != 0u) {
		set(&motor, 0);
	}
}

/* --- the light: on in maintenance --- */

static void on_mode(uint8_t mode)
{
	set(&light, mode == KS_POLICY_MODE_MAINTENANCE);
	LOG_INF("mode %u", mode);
}

static void on_log(const struct ks_log *log)
{
	static const char *const kinds[] = {"booted", "refused", "entered", "left", "locked out", "arming failed", "reset", "fault"};

	LOG_INF("%s %s", kinds[log->kind], (log->text != NULL) ? log->text : "");
}

static const struct ks_application application = {
	.inhibit = on_inhibit,
	.mode_changed = on_mode,
	.log = on_log,
};

/* --- the button --- */

static void on_button(const struct device *port, struct gpio_callback *callback, gpio_port_pins_t pins)
{
	ARG_UNUSED(port);
	ARG_UNUSED(callback);
	ARG_UNUSED(pins);
	ks_button(gpio_pin_get_dt(&button) > 0); /* from an interrupt */
}

static void set_up_pins(void)
{
	if (button.port != NULL) {
		(void)gpio_pin_configure_dt(&button, GPIO_INPUT);
		(void)gpio_pin_interrupt_configure_dt(&button, GPIO_INT_EDGE_BOTH);
		gpio_init_callback(&button_callback, on_button, BIT(button.pin));
		(void)gpio_add_callback(button.port, &button_callback);
	}
	if (motor.port != NULL) {
		(void)gpio_pin_configure_dt(&motor, GPIO_OUTPUT_INACTIVE);
	}
	if (light.port != NULL) {
		(void)gpio_pin_configure_dt(&light, GPIO_OUTPUT_INACTIVE);
	}
}

int main(void)
{
	int error;

	set_up_pins();
	error = bt_enable(NULL);
	if (error != 0) {
		LOG_ERR("Bluetooth: %d", error);
		return error;
	}
	/* Bonds and what they are owed, before anybody can connect. */
	(void)settings_load();
	error = ks_start(&application);
	if (error != 0) {
		LOG_ERR("the gate stays shut: %d", error);
	}
	return error;
}
