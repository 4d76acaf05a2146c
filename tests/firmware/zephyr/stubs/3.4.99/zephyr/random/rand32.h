#include <stub/random_body.h>
